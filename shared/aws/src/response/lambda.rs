//! Functions: their reserved concurrency.

use portcullis_response::{Functions, PortError, PortResult};

use super::AwsAccount;
use super::failure::failed;
use super::pages::unreadable;

impl Functions for AwsAccount {
    async fn reserved_concurrency(&self, function: &str) -> PortResult<Option<u32>> {
        let call = self.clients.lambda().get_function_concurrency().function_name(function);
        let answer = call.send().await.map_err(|e| failed("lambda:GetFunctionConcurrency", &e))?;
        let reserved = answer.reserved_concurrent_executions;
        reserved.map(|reserved| u32::try_from(reserved).map_err(|_| unreadable())).transpose()
    }

    async fn put_concurrency(&self, function: &str, reserved: u32) -> PortResult<()> {
        let reserved = i32::try_from(reserved).map_err(|_| PortError::Refused("too much".to_owned()))?;
        let call = self.clients.lambda().put_function_concurrency().function_name(function);
        let call = call.reserved_concurrent_executions(reserved);
        call.send().await.map_err(|e| failed("lambda:PutFunctionConcurrency", &e))?;
        Ok(())
    }

    async fn delete_concurrency(&self, function: &str) -> PortResult<()> {
        let call = self.clients.lambda().delete_function_concurrency().function_name(function);
        call.send().await.map_err(|e| failed("lambda:DeleteFunctionConcurrency", &e))?;
        Ok(())
    }
}
