drop index messages_replies;
